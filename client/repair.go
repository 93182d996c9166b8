package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"

	"github.com/docker/libnetwork/api"
)

// RepairOptions say how to repair.
type RepairOptions struct {
	// DryRun changes nothing.
	DryRun bool
	// Sandbox, if it is not empty, is the one sandbox to repair, with its networks: its id,
	// the beginning of it, or its container's.
	Sandbox string
	// Progress, if it is not nil, is called while the repair goes on, from the goroutine
	// that called Repair.
	Progress func(api.RepairProgress)
}

// Repair makes the kernel hold what the records say, and reports what differed. The
// report also has what could not be mended.
func (c *Client) Repair(ctx context.Context, options RepairOptions) (api.RepairReport, error) {
	r := post(nil, "repair")
	if options.DryRun {
		r = r.where("dry-run", "true")
	}
	r = r.where("sandbox", options.Sandbox)
	r.accept = "application/x-ndjson"
	answer, err := c.send(ctx, r)
	if err != nil {
		return api.RepairReport{}, err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	decoder := json.NewDecoder(answer.Body)
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind == jsonType {
		var report api.RepairReport
		if err := decoder.Decode(&report); err != nil {
			return report, c.garbled(ctx, r, err)
		}
		return report, nil
	}
	for {
		var line api.RepairProgress
		err := decoder.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return api.RepairReport{}, c.garbled(ctx, r, io.ErrUnexpectedEOF)
		case err != nil:
			return api.RepairReport{}, c.garbled(ctx, r, err)
		case line.Error != nil:
			return api.RepairReport{}, line.Error
		case line.Report != nil:
			return *line.Report, nil
		case options.Progress != nil:
			options.Progress(line)
		}
	}
}
