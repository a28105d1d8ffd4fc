//go:build linux

package scenario

import (
	"fmt"

	"github.com/hooktroupe/hooktroupe/bench/internal/report"
)

// judged is the size of body that the aims of throughput are about.
const judged = 8 * kilobyte

// tell adds the medians of all points, then what is made of them.
func (a *acceptance) tell() {
	for _, size := range sizes {
		for _, n := range connections {
			a.tellPoint(point{size, n})
		}
		a.tellOpen(point{size, usual})
	}
	a.judge()
}

func (a *acceptance) tellPoint(p point) {
	for _, l := range []struct {
		name  string
		unit  report.Unit
		value func(round) float64
	}{
		{"accepted", report.PerSecond, func(r round) float64 { return r.accepted }},
		{"processed", report.PerSecond, func(r round) float64 { return r.processed }},
		{"ceiling hmac", report.PerSecond, func(r round) float64 { return r.hmacRate }},
		{"ceiling log", report.PerSecond, func(r round) float64 { return r.logRate }},
		{"ceiling both", report.PerSecond, func(r round) float64 { return r.bothRate }},
		{"p50", report.Milliseconds, func(r round) float64 { return r.latency50 }},
		{"p50, both", report.Milliseconds, func(r round) float64 { return r.both50 }},
		{"p99", report.Milliseconds, func(r round) float64 { return r.latency99 }},
		{"fdatasync p50", report.Milliseconds, func(r round) float64 { return r.sync }},
		{"processor per 10,000", report.Seconds, func(r round) float64 { return r.cpu }},
		{"processor per 10,000, hmac", report.Seconds, func(r round) float64 { return r.hmacCPU }},
		{"processor per 10,000, both", report.Seconds, func(r round) float64 { return r.bothCPU }},
		{"resident memory", report.Megabytes, func(r round) float64 { return r.resident }},
		{"accepted against the lower ceiling", report.Ratio, share},
		{"processor against hmac", report.Ratio, burden},
	} {
		a.Report.Tell("accept", p.name(l.name), a.median(p, l.value), l.unit)
	}
}

func (a *acceptance) tellOpen(p point) {
	name := fmt.Sprintf("%d KB, open loop of 1,000 a second: ", p.size/kilobyte)
	a.Report.Tell("accept", name+"p50", a.median(p, func(r round) float64 { return r.open50 }), report.Milliseconds)
	a.Report.Tell("accept", name+"p99", a.median(p, func(r round) float64 { return r.open99 }), report.Milliseconds)
}

// judge adds what has an aim. Ratios are taken within each round, where both sides had the same minute of the machine.
func (a *acceptance) judge() {
	at := point{judged, usual}
	a.Report.Judge("aims of accept", at.name("accepted against the lower ceiling"), a.median(at, share), report.Ratio,
		report.Aim{Bound: report.AtLeast, Value: 0.65})
	a.Report.Tell("aims of accept", at.name("accepted against both in one server"),
		a.median(at, func(r round) float64 { return r.accepted / r.bothRate }), report.Ratio)
	a.Report.Tell("aims of accept", at.name("both in one server against the lower ceiling"),
		a.median(at, func(r round) float64 { return r.bothRate / min(r.hmacRate, r.logRate) }), report.Ratio)
	a.Report.Judge("aims of accept", at.name("processor against hmac"), a.median(at, burden), report.Ratio,
		report.Aim{Bound: report.AtMost, Value: 2.5})
	accepted := func(r round) float64 { return r.accepted }
	a.Report.Judge("aims of accept", "8 KB: accepted over 256 connections against 64",
		a.median(point{judged, 256}, accepted)/a.median(at, accepted), report.Ratio,
		report.Aim{Bound: report.AtLeast, Value: 1})
	for _, size := range sizes {
		alone := point{size, 1}
		a.Report.Judge("aims of accept", alone.name("p50 beyond one fdatasync"),
			a.median(alone, func(r round) float64 { return r.latency50 - r.sync }), report.Milliseconds,
			report.Aim{Bound: report.AtMost, Value: 0.2})
		a.Report.Tell("aims of accept", alone.name("p50 of both in one server beyond one fdatasync"),
			a.median(alone, func(r round) float64 { return r.both50 - r.sync }), report.Milliseconds)
	}
}

// share is what the daemon accepted of what the lower of the two ceilings lets through.
func share(r round) float64 { return r.accepted / min(r.hmacRate, r.logRate) }

// burden is the daemon's processor time for a delivery, accepted and worked, in terms of verifying it.
func burden(r round) float64 { return r.cpu / r.hmacCPU }

// name says what was measured where.
func (p point) name(what string) string {
	return fmt.Sprintf("%d KB × %d: %s", p.size/kilobyte, p.connections, what)
}
