package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// sameSite refuses what a browser sends for a web page of somebody else: browsers tell
// where a page is from, other clients do not (Fetch Metadata, RFC 6454 section 7).
func sameSite(req *http.Request) error {
	if origin := req.Header.Get("Origin"); origin != "" {
		from, err := url.Parse(origin)
		if err != nil || from.Host == "" || !strings.EqualFold(from.Host, req.Host) {
			return status(http.StatusForbidden, cnm.Forbidden, "origin %q: web pages of others may not use this interface", origin)
		}
	}
	switch site := req.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
		return nil
	default:
		return status(http.StatusForbidden, cnm.Forbidden, "request from a %s page: web pages of others may not use this interface", site)
	}
}

// Guard refuses requests by TCP whose Host is neither a name of the loopback nor one of
// hosts, so that a web page cannot reach the interface by a name that it has made an alias
// of this machine. An address of the machine is as good as its name.
func Guard(next http.Handler, hosts ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host := req.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.Trim(host, "[]")
		_, err := netip.ParseAddr(host)
		known := err == nil || strings.EqualFold(host, "localhost") ||
			slices.ContainsFunc(hosts, func(allowed string) bool { return strings.EqualFold(allowed, host) })
		if !known {
			http.Error(w, quote("host", req.Host)+": is not a name of this daemon; use an address, or allow the name in the daemon's configuration", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, req)
	})
}
