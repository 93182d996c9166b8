package firewalld

import "github.com/godbus/dbus/v5"

// What we keep in firewalld. A policy's name may have 17 characters: firewalld makes
// chains of iptables of it (max_policy_name_len in its functions.py).
const (
	// Zone is the name of the zone that holds our bridges.
	Zone = "libnetwork"
	// Policy is the name of the policy that allows forwarding into the zone.
	Policy = "libnetwork-entry"
)

// Names on the bus (firewall/config/dbus.py of firewalld).
const (
	service         = "org.fedoraproject.FirewallD1"
	zoneInterface   = service + ".zone"
	policyInterface = service + ".policy"
	configInterface = service + ".config"

	objectPath = dbus.ObjectPath("/org/fedoraproject/FirewallD1")
	configPath = objectPath + "/config"

	reloadedSignal = service + ".Reloaded"
)

// Names of the bus itself, from the D-Bus specification.
const (
	busService       = "org.freedesktop.DBus"
	ownerSignal      = busService + ".NameOwnerChanged"
	errorAccess      = busService + ".Error.AccessDenied"
	errorMethod      = busService + ".Error.UnknownMethod"
	errorInterface   = busService + ".Error.UnknownInterface"
	errorUnknownPath = busService + ".Error.UnknownObject"
)

// Errors of firewalld. Those of the first kind begin their text with a code, such as
// "ZONE_ALREADY_SET: ..." (firewall/errors.py).
const (
	errorFirewalld     = service + ".Exception"
	errorNotAuthorized = service + ".NotAuthorizedException"

	codeAlreadyEnabled   = "ALREADY_ENABLED"
	codeZoneAlreadySet   = "ZONE_ALREADY_SET"
	codeNameConflict     = "NAME_CONFLICT"
	codeNotEnabled       = "NOT_ENABLED"
	codeUnknownInterface = "UNKNOWN_INTERFACE"
	codeZoneConflict     = "ZONE_CONFLICT"
	codeInvalidZone      = "INVALID_ZONE"
	codePanicMode        = "PANIC_MODE"
	codeCommandFailed    = "COMMAND_FAILED"
	codeAccessDenied     = "ACCESS_DENIED"
	codeNotAuthorized    = "NOT_AUTHORIZED"
)

const (
	zoneDescription   = "Bridges of container networks. What may pass is decided by libnetwork's own rules."
	policyDescription = "Forwarding to container networks. What may pass is decided by libnetwork's own rules."
)
