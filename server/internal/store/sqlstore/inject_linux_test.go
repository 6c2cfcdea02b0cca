package sqlstore_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"
)

// Faults of the disk, without a special disk and without rights: a filter of the kernel (seccomp) asks this
// process before each call that writes, syncs or truncates, and the answer may be an error. The filter stays for
// the rest of the process's life; so such a test runs in a process of its own.

// childTest tells this program that it runs one test in a process of its own, and with which number.
const childTest = "CULVERT_STORE_TEST"

// inProcess reports whether this is the process that a test has started for itself. If it is not, it starts that
// one, waits for it, and returns what it has printed and whether it succeeded.
func inProcess(t *testing.T, number int) (here bool, output string, ok bool) {
	t.Helper()
	if os.Getenv(childTest) != "" {
		return true, "", true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	child := exec.CommandContext(t.Context(), program, "-test.run="+name, "-test.v") //nolint:gosec // this very program
	// A collection would stop threads that wait for an answer of one that is stopped too.
	child.Env = append(os.Environ(), childTest+"="+strconv.Itoa(number), "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	out, err := child.CombinedOutput()
	return false, string(out), err == nil
}

// ownProcess is inProcess for a test that is over when its own process is.
func ownProcess(t *testing.T) (here bool) {
	t.Helper()
	here, output, ok := inProcess(t, 1)
	if !ok {
		t.Fatalf("in a process of its own:\n%s", output)
	}
	if !here {
		t.Logf("in a process of its own:\n%s", output)
	}
	return here
}

// operation is a kind of call to the kernel that changes a file.
type operation string

const (
	writing    operation = "write"
	syncing    operation = "sync"
	truncating operation = "truncate"
)

func operations() map[int32]operation {
	return map[int32]operation{
		syscall.SYS_PWRITE64: writing, syscall.SYS_WRITE: writing, syscall.SYS_FSYNC: syncing, syscall.SYS_FDATASYNC: syncing,
		syscall.SYS_FTRUNCATE: truncating,
	}
}

// disk decides about calls that concern files of databases.
type disk struct {
	mu sync.Mutex
	// decide returns what a call fails with, 0 if it does not. Nil: none fails.
	decide func(op operation, file string) syscall.Errno
	calls  int // how many there were
}

func (d *disk) set(decide func(operation, string) syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.decide = decide
}

// count returns how many calls there were.
func (d *disk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// nth fails the nth call of a kind from now on, and if more is set all after it too. It returns how many there were.
func (d *disk) nth(op operation, n int, with syscall.Errno, more bool) (seen func() int) {
	calls := 0
	d.set(func(o operation, _ string) syscall.Errno {
		if o == op {
			calls++
			if calls == n || more && calls > n {
				return with
			}
		}
		return 0
	})
	return func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return calls
	}
}

func (d *disk) judge(op operation, file string) syscall.Errno {
	if !strings.HasSuffix(file, ".db") && !strings.HasSuffix(file, ".db-wal") {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.decide == nil {
		return 0
	}
	return d.decide(op, file)
}

// The numbers of seccomp(2) and its friends, which package syscall does not have.
const (
	setNoNewPrivs = 38
	setModeFilter = 1
	filterFlags   = 1<<0 | 1<<3 | 1<<4 // all threads; a listener; tell a thread that refuses by an error
	askListener   = 0x7fc00000
	allow         = 0x7fff0000
	receive       = 0xc0502100
	send          = 0xc0182101
	goOn          = 1
)

type question struct {
	id    uint64
	_     [2]uint32 // process, flags
	call  int32
	_     uint32 // architecture
	_     uint64 // instruction
	first uint64 // argument
	_     [5]uint64
}

type answer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// faultyDisk installs the filter. The test is skipped where the system does not allow it; in CI that is a failure.
func faultyDisk(t *testing.T) *disk {
	t.Helper()
	number, ok := map[string]uintptr{"amd64": 317, "arm64": 277}[runtime.GOARCH]
	if !ok {
		t.Skip("the number of seccomp(2) is not known here")
	}
	filter := []syscall.SockFilter{{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS}} // the call's number
	left := len(operations())
	for call := range operations() {
		filter = append(filter, syscall.SockFilter{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, Jt: uint8(left), K: uint32(call)})
		left--
	}
	filter = append(filter, syscall.SockFilter{Code: syscall.BPF_RET, K: allow}, syscall.SockFilter{Code: syscall.BPF_RET, K: askListener})
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _, err := syscall.Syscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0)
	var fd uintptr
	if err == 0 {
		fd, _, err = syscall.Syscall(number, setModeFilter, filterFlags, uintptr(unsafe.Pointer(&program)))
	}
	if err != 0 {
		if os.Getenv("CULVERT_CI") != "" {
			t.Fatalf("seccomp: %v", err)
		}
		t.Skipf("seccomp: %v", err)
	}
	d := &disk{}
	go d.answer(fd)
	return d
}

// answer answers the kernel's questions for the rest of the process's life. It writes nothing itself.
func (d *disk) answer(fd uintptr) {
	known := operations()
	for {
		var q question
		if _, _, err := syscall.Syscall(syscall.SYS_IOCTL, fd, receive, uintptr(unsafe.Pointer(&q))); err != 0 {
			continue // the caller has gone, or a signal came
		}
		a := answer{id: q.id, flags: goOn}
		file, _ := os.Readlink(filepath.Join("/proc/self/fd", strconv.FormatUint(q.first, 10)))
		if err := d.judge(known[q.call], file); err != 0 {
			a = answer{id: q.id, err: -int32(err)}
		}
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, send, uintptr(unsafe.Pointer(&a))) // fails if the caller has gone
	}
}
