"""The sandbox payment provider: a process of its own that behaves like a real one.

It keeps its own books (SQLite), speaks REST with the merchant and HTML with the buyer, and reports by
signed webhooks. It shares no code and no database with the rest, as a real provider would not.
"""
