"""The page that members of a group share, and its picture card for messengers."""
