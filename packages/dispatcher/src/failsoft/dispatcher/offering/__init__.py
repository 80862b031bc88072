"""Which engine gets a job, and the offer itself: routing, breakers, deadlines."""
