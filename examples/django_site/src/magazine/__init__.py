"""A magazine on Wagtail: editors publish articles, readers who subscribed get a mail."""
