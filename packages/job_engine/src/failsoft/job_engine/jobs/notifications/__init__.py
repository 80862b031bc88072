"""What `send_notification` is made of: the channels, and what is written to each."""
