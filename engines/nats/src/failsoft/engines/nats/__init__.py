"""The engine nats: one work-queue stream of JetStream a queue, one message an offer."""
