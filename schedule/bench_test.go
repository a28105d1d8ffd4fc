package schedule_test

import (
	"runtime"
	"testing"

	"github.com/hooktroupe/hooktroupe/schedule"
)

// BenchmarkLanes runs a task of one of 10,000 busy keys after the other, with 16 at a time, under each policy that runs
// them all.
func BenchmarkLanes(b *testing.B) {
	const keys, workers = 10_000, 16
	for _, policy := range []schedule.Policy{schedule.Parallel, schedule.Serial} {
		b.Run(policy.String(), func(b *testing.B) {
			s := newScheduler(schedule.Route{Name: "r", Policy: policy})
			h := uint32(0)
			for range 4 {
				for key := range uint32(keys) {
					s.Add(h, lane(key, "r"), schedule.Arrival{})
					h++
				}
			}
			running := make([]*schedule.Run, 0, workers)
			handles := make([]uint32, 0, workers)
			b.ReportAllocs()
			for b.Loop() {
				if len(running) == workers {
					s.Ended(running[0], schedule.Healthy)
					s.Add(handles[0], lane(handles[0]%keys, "r"), schedule.Arrival{})
					running, handles = append(running[:0], running[1:]...), append(handles[:0], handles[1:]...)
				}
				at, run, ok := s.Next(1)
				if !ok {
					b.Fatal("nothing runs")
				}
				running, handles = append(running, run), append(handles, at)
			}
		})
	}
}

// BenchmarkLaneMemory reports what a lane with one waiting task costs, beside the task.
func BenchmarkLaneMemory(b *testing.B) {
	const lanes = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		s := newScheduler(schedule.Route{Name: "r", Policy: schedule.Serial})
		runtime.GC()
		runtime.ReadMemStats(&before)
		for key := range uint32(lanes) {
			s.Add(key, lane(key, "r"), schedule.Arrival{})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/lanes, "B/lane")
		runtime.KeepAlive(s)
	}
}
