package certs

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// recheck is how often the files are looked at, as long as certificates are
// asked for.
const recheck = 5 * time.Second

// files is a certificate from files that may change.
type files struct {
	log  *slog.Logger
	cert atomic.Pointer[tls.Certificate]

	mu                sync.Mutex
	certFile, keyFile string // guarded by mu, as is all below
	checkAt           time.Time
	seen              [2]stamp
}

// stamp tells versions of a file apart.
type stamp struct {
	changed time.Time
	size    int64
}

func openFiles(certFile, keyFile string, log *slog.Logger) (*files, error) {
	f := &files{certFile: certFile, keyFile: keyFile, log: log}
	if certFile == "" || keyFile == "" {
		return nil, fault.New(fault.ServerCertificate, certFile, keyFile, errors.New("one of the two is missing"))
	}
	if err := f.load(certFile, keyFile); err != nil {
		return nil, fault.Wrap(err, fault.ServerCertificate, certFile, keyFile, err)
	}
	f.checkAt = time.Now().Add(recheck)
	return f, nil
}

// certificate returns the certificate, read again if the files have changed. If
// the new ones cannot be used, as while they are being written, the old one
// stays.
func (f *files) certificate() *tls.Certificate {
	now := time.Now()
	if f.mu.TryLock() { // whoever comes meanwhile takes the old one
		if !now.Before(f.checkAt) {
			f.checkAt = now.Add(recheck)
			f.reload()
		}
		f.mu.Unlock()
	}
	return f.cert.Load()
}

// reload is called with mu held.
func (f *files) reload() {
	seen, err := stamps(f.certFile, f.keyFile)
	if err == nil && seen == f.seen {
		return
	}
	if err == nil {
		err = f.load(f.certFile, f.keyFile)
	}
	if err != nil {
		f.log.Warn("the changed TLS certificate cannot be used, the old one stays", "cert", f.certFile, "key", f.keyFile, "err", err)
		return
	}
	f.log.Info("read the changed TLS certificate", "cert", f.certFile, "expires", f.cert.Load().Leaf.NotAfter)
}

// read reads files now, which may be others than before. If they cannot be used
// the certificate stays as it is.
func (f *files) read(certFile, keyFile string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.load(certFile, keyFile); err != nil {
		return fault.Wrap(err, fault.ServerCertificate, certFile, keyFile, err)
	}
	f.certFile, f.keyFile = certFile, keyFile
	return nil
}

func (f *files) load(certFile, keyFile string) error {
	// Before the reading: a change in between is seen at the next check.
	seen, err := stamps(certFile, keyFile)
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	f.seen = seen
	f.cert.Store(&cert)
	return nil
}

func stamps(names ...string) (seen [2]stamp, err error) {
	for i, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return seen, err
		}
		seen[i] = stamp{info.ModTime(), info.Size()}
	}
	return seen, nil
}
