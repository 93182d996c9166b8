package api

import "time"

// Info is the answer of GET /info.
type Info struct {
	Version        string   `json:"version"`
	ControllerID   string   `json:"controller_id"`
	Drivers        []string `json:"drivers"`
	IPAMDrivers    []string `json:"ipam_drivers"`
	DefaultNetwork string   `json:"default_network"`
	DefaultDriver  string   `json:"default_driver"`
	// Firewall is the back end of the packet filter in use, or "none".
	Firewall  string    `json:"firewall"`
	DataDir   string    `json:"data_dir"`
	ExecRoot  string    `json:"exec_root"`
	Labels    []string  `json:"labels,omitempty"`
	Started   time.Time `json:"started"`
	PID       int       `json:"pid"`
	Networks  int       `json:"networks"`
	Endpoints int       `json:"endpoints"`
	Sandboxes int       `json:"sandboxes"`
	// Kernel is the release of the running kernel, and Go what the daemon was built with.
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// Version is the answer of GET /version.
type Version struct {
	Version string `json:"version"`
}

// Health is the answer of GET /health: 200 if Healthy is true, 503 otherwise.
type Health struct {
	Healthy bool `json:"healthy"`
	// Problems says what is wrong, a sentence each.
	Problems []string `json:"problems,omitempty"`
}

// Event tells of a change that has been made. GET /events streams them as server-sent
// events: the id is the Sequence, the event's name is "type.action", the data is this as
// JSON.
type Event struct {
	// Sequence grows by one with each event of a daemon's life, and begins above those of
	// the life before.
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// Type is "network", "endpoint", "sandbox" or "controller".
	Type string `json:"type"`
	// Action is "create", "delete", "join", "leave", "rename", "refresh", "ready",
	// "repair", or "missed" if the client was too slow and some events are lost to it.
	Action string `json:"action"`
	// ID and Name are those of the network, endpoint or sandbox.
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
	// Network, NetworkID, Container and SandboxID say what else it concerns.
	Network   string `json:"network,omitempty"`
	NetworkID string `json:"network_id,omitempty"`
	Container string `json:"container_id,omitempty"`
	SandboxID string `json:"sandbox_id,omitempty"`
	// Detail is more in words.
	Detail string `json:"detail,omitempty"`
}

// RepairReport is the answer of POST /repair; with ?dry-run=true nothing is changed. A
// client that accepts application/x-ndjson gets a RepairProgress a line before it.
type RepairReport struct {
	DryRun bool `json:"dry_run"`
	// Differences are what was mended, or would be.
	Differences []Difference `json:"differences"`
	// Errors are what could not be mended.
	Errors []string `json:"errors,omitempty"`
}

// RepairProgress tells how far a repair has come. In a stream of lines of JSON, the last
// line has the report, or the error that ended it.
type RepairProgress struct {
	Done    int           `json:"done"`
	Total   int           `json:"total"`
	Subject string        `json:"subject,omitempty"`
	Report  *RepairReport `json:"report,omitempty"`
	Error   *Error        `json:"error,omitempty"`
}

// Difference is what the kernel holds otherwise than the records say.
type Difference struct {
	// Subject is what it concerns, such as `network "web"`, or what has no record.
	Subject string `json:"subject"`
	// Changes are what is to be done about it, one each.
	Changes []string `json:"changes"`
}

// Finding is an entry of the answer of GET /doctor.
type Finding struct {
	// Check is the name of the check, such as "ip-forwarding".
	Check string `json:"check"`
	// Level is "ok", "info", "warning" or "error".
	Level string `json:"level"`
	// Message says what was found, and Fix what to do about it; it is empty if there is
	// nothing to do.
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// Levels of findings.
const (
	LevelOK      = "ok"
	LevelInfo    = "info"
	LevelWarning = "warning"
	LevelError   = "error"
)

// Explanation is the answer of GET /why?from=A&to=B&port=N&protocol=tcp: the way of a packet
// and what decides.
type Explanation struct {
	// From and To are as asked for; Address is where the packet goes.
	From     string `json:"from"`
	To       string `json:"to"`
	Address  string `json:"address"`
	Port     int    `json:"port,omitempty"`
	Protocol string `json:"protocol"`
	// Allowed says whether the packet arrives, as far as what we decide.
	Allowed bool `json:"allowed"`
	// Source is the address that the receiver sees; empty if it is the sender's own, and
	// the sender has none that is known.
	Source string `json:"source,omitempty"`
	// Steps are the way, in order; the last one that decides says why.
	Steps []Step `json:"steps"`
}

// Step is a station of a packet's way.
type Step struct {
	// Where is the place, such as `container "web"` or "host".
	Where string `json:"where"`
	// What happens there, in words.
	What string `json:"what"`
	// Rule is what the packet filter has for it, or empty.
	Rule string `json:"rule,omitempty"`
	// Verdict is "pass", "translate", "drop" or empty.
	Verdict string `json:"verdict,omitempty"`
}
