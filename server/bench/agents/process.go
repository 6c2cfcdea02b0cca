package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is a child made of this program, which is told lines and answers JSON.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func (p *process) start(args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p.cmd = exec.Command(self, args...)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = json.NewDecoder(out)
	return p.cmd.Start()
}

func (p *process) answer(into any) error { return p.out.Decode(into) }

// stop ends the process by a signal and waits for its end.
func (p *process) stop(sig os.Signal) {
	_ = p.cmd.Process.Signal(sig) // it may have ended
	_ = p.cmd.Wait()              // by the signal
}

// cpu returns the processor time that the process has used so far, where Linux
// tells it.
func (p *process) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything; utime and stime are the 14th
	// and 15th field, in hundredths of a second.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system int64
	_, _ = fmt.Sscan(fields[11], &user)   // zero, if it is no number
	_, _ = fmt.Sscan(fields[12], &system) // likewise
	return time.Duration(user+system) * 10 * time.Millisecond
}
