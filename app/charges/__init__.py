"""What is charged beside the goods: freight by templates, tax by rules; and the rates between currencies."""
