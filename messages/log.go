package messages

import "log/slog"

// LogValue keeps bodies and headers out of logs that print whole messages, as those of the actor library do.
func (x *AcceptDelivery) LogValue() slog.Value { return x.GetDelivery().LogValue() }

// LogValue shows what a delivery is, never what it carries.
func (x *Delivery) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("source", x.GetSource()),
		slog.String("event", x.GetEventType()),
		slog.String("delivery.id", x.GetDeliveryId()),
		slog.Int("bytes", len(x.GetBody())),
	)
}

// LogValue shows where a task stands, never its result.
func (x *Task) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("task.id", x.GetWebhookId()),
		slog.String("status", x.GetStatus().String()),
	)
}
