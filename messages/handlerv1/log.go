package handlerv1

import "log/slog"

// LogValue shows which attempt it is, never what the task carries.
func (x *RunAttempt) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Uint64("generation", x.GetGeneration()),
		slog.String("task.id", x.GetTask().GetWebhookId()),
		slog.Int("bytes", len(x.GetTask().GetBody())),
	)
}

// LogValue shows how an attempt ended, never its result.
func (x *AttemptResult) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Uint64("generation", x.GetGeneration()),
		slog.String("task.id", x.GetWebhookId()),
		slog.String("outcome", x.GetOutcome().String()),
	)
}
