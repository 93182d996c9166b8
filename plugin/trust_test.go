//go:build unix

package plugin_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/plugintest"
)

const stranger = 12345

// Nobody else may be able to put a plugin in the place of the one that is called.
func TestTrust(t *testing.T) {
	for name, test := range map[string]struct {
		root    bool // it takes root to try
		prepare func(p *plugintest.Plugin) error
		kind    cnm.Kind // empty: it is trusted
		says    string
	}{
		"as it should be":    {},
		"socket for a group": {prepare: func(p *plugintest.Plugin) error { return os.Chmod(p.Socket(), 0o660) }},
		"socket for all": {prepare: func(p *plugintest.Plugin) error { return os.Chmod(p.Socket(), 0o666) }, kind: cnm.Forbidden,
			says: "p.sock\": everybody can write to it (mode 0666), and so pass for a plugin: chmod o-w"},
		"folder for all": {prepare: func(p *plugintest.Plugin) error { return os.Chmod(p.Folder, 0o777) }, kind: cnm.Forbidden, says: "everybody can write to it (mode 0777)"},
		"folder for all, as /tmp": {prepare: func(p *plugintest.Plugin) error { return os.Chmod(p.Folder, 0o777|os.ModeSticky) },
			kind: cnm.Forbidden, says: "everybody can write to it"},
		"somebody's socket": {root: true, prepare: func(p *plugintest.Plugin) error { return os.Chown(p.Socket(), stranger, 0) }, kind: cnm.Forbidden,
			says: "belongs to user 12345; plugins must be root's or our own (user 0): chown it"},
		"somebody's folder": {root: true, prepare: func(p *plugintest.Plugin) error { return os.Chown(p.Folder, stranger, 0) }, kind: cnm.Forbidden, says: "belongs to user 12345"},
		"folder of a group": {root: true, prepare: func(p *plugintest.Plugin) error {
			return errors.Join(os.Chown(p.Folder, -1, stranger), os.Chmod(p.Folder, 0o775))
		}, kind: cnm.Forbidden, says: "group 12345 can write to it (mode 0775)"},
		"a group's socket": {root: true, prepare: func(p *plugintest.Plugin) error {
			return errors.Join(os.Chown(p.Socket(), -1, stranger), os.Chmod(p.Socket(), 0o660))
		}},
		"a link for a socket": {prepare: func(p *plugintest.Plugin) error {
			return errors.Join(os.Rename(p.Socket(), p.Socket()+"2"), os.Symlink(p.Socket()+"2", p.Socket()))
		}, kind: cnm.Forbidden, says: "is a symbolic link"},
		"a link for a folder": {prepare: func(p *plugintest.Plugin) error {
			real := filepath.Join(p.Folder, "real")
			err := errors.Join(os.Mkdir(real, 0o755), os.Rename(p.Socket(), filepath.Join(real, "p.sock")), os.Symlink("real/../real", filepath.Join(p.Folder, "link")))
			p.Folder = filepath.Join(p.Folder, "link")
			return err
		}},
		"somebody's link for a folder": {root: true, prepare: func(p *plugintest.Plugin) error {
			link := filepath.Join(p.Folder, "link")
			err := errors.Join(os.Symlink(p.Folder, link), os.Lchown(link, stranger, 0))
			p.Folder = link
			return err
		}, kind: cnm.Forbidden, says: "link\": belongs to user 12345"},
		"a link in a folder of somebody's": {root: true, prepare: func(p *plugintest.Plugin) error {
			folder := filepath.Join(p.Folder, "theirs")
			err := errors.Join(os.Mkdir(folder, 0o755), os.Symlink(p.Folder, filepath.Join(folder, "link")), os.Chown(folder, stranger, 0))
			p.Folder = filepath.Join(folder, "link")
			return err
		}, kind: cnm.Forbidden, says: "theirs\": belongs to user 12345"},
		"somebody's folder above": {root: true, prepare: func(p *plugintest.Plugin) error {
			above := filepath.Join(p.Folder, "above")
			err := errors.Join(os.MkdirAll(filepath.Join(above, "x"), 0o755), os.Rename(p.Socket(), filepath.Join(above, "x", "p.sock")), os.Chown(above, stranger, 0))
			p.Folder = filepath.Join(above, "x")
			return err
		}, kind: cnm.Forbidden, says: "above\": belongs to user 12345"},
		"no socket": {prepare: func(p *plugintest.Plugin) error {
			return errors.Join(os.Remove(p.Socket()), os.WriteFile(p.Socket(), nil, 0o600))
		}, kind: cnm.Invalid, says: "is no socket"},
		"a circle of links": {prepare: func(p *plugintest.Plugin) error {
			path := filepath.Join(p.Folder, "circle")
			err := errors.Join(os.Symlink(path, path), os.Remove(p.Socket()), os.WriteFile(filepath.Join(p.Folder, "p.spec"), []byte("unix://"+path+"/p.sock"), 0o600))
			return err
		}, kind: cnm.Forbidden, says: "more than 16 symbolic links"},
		"a file in place of a folder": {prepare: func(p *plugintest.Plugin) error {
			path := filepath.Join(p.Folder, "file")
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Remove(p.Socket()),
				os.WriteFile(filepath.Join(p.Folder, "p.spec"), []byte("unix://"+path+"/p.sock"), 0o600))
		}, kind: cnm.Unavailable, says: "is no folder"},
		"spec for all": {prepare: func(p *plugintest.Plugin) error {
			path := filepath.Join(p.Folder, "p.spec")
			return errors.Join(os.Rename(p.Socket(), p.Socket()+"2"), os.WriteFile(path, []byte("unix://"+p.Socket()+"2"), 0o600), os.Chmod(path, 0o602))
		}, kind: cnm.Forbidden, says: "everybody can write to it (mode 0602)"},
		"spec of a group": {root: true, prepare: func(p *plugintest.Plugin) error {
			path := filepath.Join(p.Folder, "p.spec")
			return errors.Join(os.Rename(p.Socket(), p.Socket()+"2"), os.WriteFile(path, []byte("unix://"+p.Socket()+"2"), 0o600), os.Chown(path, -1, stranger), os.Chmod(path, 0o620))
		}, kind: cnm.Forbidden, says: "group 12345 can write to it (mode 0620)"},
		"spec by a link": {prepare: func(p *plugintest.Plugin) error {
			path := filepath.Join(p.Folder, "p.spec")
			return errors.Join(os.Rename(p.Socket(), p.Socket()+"2"), os.WriteFile(path+"2", []byte("unix://"+p.Socket()+"2"), 0o600), os.Symlink(path+"2", path))
		}, kind: cnm.Forbidden, says: "is a symbolic link"},
		"spec to somebody's socket": {root: true, prepare: func(p *plugintest.Plugin) error {
			path := filepath.Join(p.Folder, "p.spec")
			return errors.Join(os.Rename(p.Socket(), p.Socket()+"2"), os.WriteFile(path, []byte("unix://"+p.Socket()+"2"), 0o600), os.Chown(p.Socket()+"2", stranger, 0))
		}, kind: cnm.Forbidden, says: "belongs to user 12345"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.root && os.Geteuid() != 0 {
				t.Skip("needs root, to give files away: run the tests with sudo")
			}
			p := plugintest.Start(t, "p", "NetworkDriver")
			folder := p.Folder
			if test.prepare != nil {
				if err := test.prepare(p); err != nil {
					t.Fatal(err)
				}
			}
			r := plugin.New(plugin.Options{SocketFolders: []string{p.Folder}, SpecFolders: []string{p.Folder}, RetryFor: -1})
			defer r.Close() //nolint:errcheck // it returns none
			_, err := r.Get(t.Context(), "p", "NetworkDriver")
			if test.kind == "" && err != nil || test.kind != "" && (!errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("error %v, want kind %q and the words %q", err, test.kind, test.says)
			}
			p.Folder = folder
		})
	}
}

// A socket that somebody else puts in the place of a trusted one is not used.
func TestTrustIsNotForEver(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give files away: run the tests with sudo")
	}
	p := plugintest.Start(t, "p", "NetworkDriver")
	p.Answer("NetworkDriver.Leave", "{}")
	found := get(t, p)
	p.Restart()
	if err := os.Chown(p.Socket(), stranger, 0); err != nil {
		t.Fatal(err)
	}
	p.Calls()
	if err := found.Call(t.Context(), "NetworkDriver.Leave", nil, nil); !errors.Is(err, cnm.Forbidden) || plugin.MayHaveHappened(err) {
		t.Errorf("error %v", err)
	}
	if got := p.Methods(); len(got) != 0 {
		t.Errorf("it was asked for %q", got)
	}
}
