package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine is a line that says what the figures were taken on.
func machine(ctx context.Context) string {
	model := "an unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(info); m != nil {
			model = string(m[1])
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // left out where there is none
	return fmt.Sprintf("%d cores, %s; %s %s; %s; nginx %s, HAProxy %s, wrk %s, h2load %s; load average at the start: %s\n",
		runtime.NumCPU(), model, runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.Version(),
		versionOf(ctx, "nginx", "-v"), versionOf(ctx, "haproxy", "-v"), versionOf(ctx, "wrk", "-v"), versionOf(ctx, "h2load", "--version"),
		loadAverage())
}

var number = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

func versionOf(ctx context.Context, tool, flag string) string {
	out, _ := exec.CommandContext(ctx, tool, flag).CombinedOutput() // wrk says it and fails
	return number.FindString(string(out))
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// cpuTime is the time that processes have had of the processors, in steps of
// 10 ms. It is zero where there is no /proc.
func cpuTime(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat") // a process that has ended is told elsewhere
		_, after, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(after)
		if len(fields) < 13 {
			continue
		}
		for _, ticks := range fields[11:13] { // user and system
			n, _ := strconv.Atoi(ticks) // the kernel wrote it
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}
