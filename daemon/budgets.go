package daemon

import (
	"math"
	"runtime/debug"
	"runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	hthttp "github.com/hooktroupe/hooktroupe/http"
	"github.com/hooktroupe/hooktroupe/http/status"
)

// budgets says how much is in use of what is bounded: the disk of the journal, the heap, the memory of requests in flight,
// and the tasks that may wait. It never blocks.
func (d *daemon) budgets() []status.Budget {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	limit := float64(debug.SetMemoryLimit(-1))
	if limit >= math.MaxInt64 {
		limit = 0
	}
	waiting := 0.0
	for _, status := range []string{"queued", "processing", "retrying"} {
		waiting += gaugeValue(d.metrics.Tasks.Tasks.With(status))
	}
	c := d.inForce.Load()
	inflight := hthttp.Config{MaxInflightBytes: int(c.HTTP.MaxInflightBytes)}.WithDefaults().MaxInflightBytes
	all := []status.Budget{
		{Name: "memory", Unit: "bytes", Used: float64(heap[0].Value.Uint64()), Limit: limit},
		{Name: "requests in flight", Unit: "bytes", Used: gaugeValue(d.metrics.Ingress.InflightBytes), Limit: float64(inflight)},
		{Name: "tasks that wait", Unit: "tasks", Used: waiting, Limit: float64(c.Tasks.MaxWaiting)},
	}
	if j := d.journal.Load(); j != nil {
		stats := (*j).Stats()
		disk := status.Budget{Name: "journal", Unit: "bytes", Used: float64(stats.Bytes), Limit: float64(stats.BudgetBytes)}
		all = append([]status.Budget{disk}, all...)
	}
	return all
}

// gaugeValue reads a gauge.
func gaugeValue(g prometheus.Gauge) float64 {
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		return 0
	}
	return m.GetGauge().GetValue()
}
