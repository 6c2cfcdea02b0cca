package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// sample says which figure it is.
type sample struct{ run, way, unit string }

// samples holds the figures of all rounds.
type samples map[sample][]float64

// add keeps what a way's load found. Rounds come in order, and each has every
// way.
func (s samples) add(run, way string, l load) {
	for unit, v := range l {
		key := sample{run, way, unit}
		s[key] = append(s[key], v)
	}
}

// ratios returns one ratio for each round.
func (s samples) ratios(r row, way, peer string) []float64 {
	a, b := s[sample{r.run, way, r.unit}], s[sample{r.run, peer, r.unit}]
	var all []float64
	for i := range min(len(a), len(b)) {
		all = append(all, a[i]/b[i])
	}
	return all
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// table formats the rows that were measured.
func table(rows []row, s samples, compare bool) string {
	ways := []string{direct, httputil, haproxyHTTP, haproxyTCP, ours}
	if compare {
		ways = append(ways, before)
	}
	head := append([]string{"Work"}, ways...)
	head = append(head, "ratio", "goal")
	if compare {
		head = append(head, "to before")
	}
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range rows {
		ratios := s.ratios(r, ours, r.peer)
		if len(ratios) == 0 {
			continue
		}
		cells := []string{r.run + ", " + r.unit}
		for _, way := range ways {
			cells = append(cells, figure(median(s[sample{r.run, way, r.unit}])))
		}
		cells = append(cells, spread(ratios)+" × "+r.peer, r.want())
		if compare {
			cells = append(cells, spread(s.ratios(r, ours, before)))
		}
		line(cells)
	}
	return b.String()
}

// want is the goal in words of the table.
func (r row) want() string {
	switch {
	case r.goal == 0:
		return "-"
	case r.less:
		return fmt.Sprintf("≤ %.2f", r.goal)
	}
	return fmt.Sprintf("≥ %.2f", r.goal)
}

func spread(v []float64) string {
	if len(v) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", median(v), slices.Min(v), slices.Max(v))
}

func figure(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v < 100:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// policyTable formats what endpoints with a policy do beside one without.
func policyTable(s samples) string {
	b := "| Policy | per second | ratio | goal | CPU | ratio |\n| --- | --- | --- | --- | --- | --- |\n"
	for _, build := range []string{ours, before} {
		none := build + strings.TrimPrefix(noPolicy, ours)
		for _, policy := range []string{noPolicy, missing, onRequest, onResponse} {
			way := build + strings.TrimPrefix(policy, ours)
			rate, cost := row{run: policies, unit: perSecond, goal: 0.9}, row{run: policies, unit: cpu}
			if rates := s[sample{policies, way, perSecond}]; len(rates) > 0 {
				b += fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", way, figure(median(rates)), spread(s.ratios(rate, way, none)), rate.want(),
					figure(median(s[sample{policies, way, cpu}])), spread(s.ratios(cost, way, none)))
			}
		}
	}
	return b
}
