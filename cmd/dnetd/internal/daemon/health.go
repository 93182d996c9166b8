package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/resolver"
)

// What name servers outside do is judged by at least as many questions, of the last minutes.
const (
	fewQuestions = 5
	judgedTime   = time.Minute
)

// health tries what the daemon cannot do without.
type health struct {
	backend Backend

	mu sync.Mutex // guards what follows
	// before and since are what the forwarder had counted, and when.
	before resolver.ForwarderStatistics
	since  time.Time
}

func newHealth(b Backend) *health { return &health{backend: b, since: time.Now()} }

// check tells what is wrong at the moment.
func (h *health) check(context.Context) api.Health {
	var problems []string
	folders := []string{h.backend.Config.Daemon.ExecRoot}
	if path := storePath(h.backend.Config); path != "" {
		folders = append(folders, filepath.Dir(path))
	}
	for _, folder := range folders {
		if err := writable(folder); err != nil {
			problems = append(problems, fmt.Sprintf("folder %q cannot be written to: %v", folder, err))
		}
	}
	statistics := h.backend.Inspector.Statistics()
	if statistics.Firewall == "" {
		problems = append(problems, "the packet filter cannot be told: its back end does not answer")
	}
	if statistics.MendError != "" {
		problems = append(problems, "the packet filter was changed by somebody else and cannot be mended: "+statistics.MendError)
	}
	if problem := h.judge(statistics.Forwarder, time.Now()); problem != "" {
		problems = append(problems, problem)
	}
	return api.Health{Healthy: len(problems) == 0, Problems: problems}
}

// judge compares what has been asked outside with what was some time ago.
func (h *health) judge(now resolver.ForwarderStatistics, at time.Time) (problem string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked, failed := now.Asked-h.before.Asked, now.Failed-h.before.Failed
	if asked >= fewQuestions && failed >= asked {
		problem = fmt.Sprintf("no name server outside answers: the last %d questions failed, since %s; see resolv.conf of this host",
			asked, h.since.Format(time.RFC3339))
	}
	if at.Sub(h.since) >= judgedTime {
		h.before, h.since = now, at
	}
	return problem
}

// writable writes a file, as a record is: until it is on the disk.
func writable(folder string) error {
	file, err := os.CreateTemp(folder, ".health")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it was made just now
	_, err = file.Write([]byte("health"))
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
