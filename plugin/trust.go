package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/fileowner"
)

// Who speaks to us as a plugin decides what containers are connected to. So nobody but
// root and our own user may be able to put a file in the place of the one we open: not by
// writing to it, nor to a folder on the way to it, nor by a link.

// mostLinks is how many symbolic links a path may lead through.
const mostLinks = 16

// Modes of files.
const (
	writableByGroup = 0o020
	writableByOther = 0o002
)

func untrusted(path, format string, values ...any) error {
	return cnm.E("", cnm.Forbidden, fmt.Errorf("file %q: %s", path, fmt.Sprintf(format, values...)))
}

// trusted checks a file of a type, fs.ModeSocket or 0 for a plain one. It returns the
// path without the symbolic links among its folders, to be opened in its place: what is
// checked is what is used. NotFound means that there is no such file.
func trusted(path string, want fs.FileMode) (string, fs.FileInfo, error) {
	if !filepath.IsAbs(path) {
		return "", nil, cnm.E("", cnm.Invalid, fmt.Errorf("file %q: is no absolute path", path))
	}
	w := walk{given: path, at: string(filepath.Separator), ahead: split(path)}
	for len(w.ahead) > 1 {
		if err := w.step(); err != nil {
			return "", nil, err
		}
	}
	return w.finish(want)
}

// walk goes from folder to folder.
type walk struct {
	given string
	at    string   // the folder reached, without links
	ahead []string // what is left of the path, the file last
	links int
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(filepath.ToSlash(path), "/"), func(name string) bool { return name == "" || name == "." })
}

// step enters the next folder, or follows a link to one.
func (w *walk) step() error {
	name := w.ahead[0]
	w.ahead = w.ahead[1:]
	if name == ".." {
		w.at = filepath.Dir(w.at)
		return nil
	}
	if err := w.checkFolder(false); err != nil {
		return err
	}
	path := filepath.Join(w.at, name)
	info, err := lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		w.at = path
		return nil
	}
	if err := checkOwner(path, info); err != nil {
		return err
	}
	target, err := os.Readlink(path)
	if err != nil {
		return cnm.E("", cnm.Internal, err)
	}
	if w.links++; w.links > mostLinks {
		return untrusted(w.given, "leads through more than %d symbolic links", mostLinks)
	}
	if filepath.IsAbs(target) {
		w.at = string(filepath.Separator)
	}
	w.ahead = slices.Concat(split(target), w.ahead)
	return nil
}

// checkFolder checks the folder reached. Where everybody may write but only delete what
// is theirs, as in /tmp, what is ours stays ours; but that is no place for plugins, as
// names in it go to who comes first.
func (w *walk) checkFolder(last bool) error {
	info, err := lstat(w.at)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return cnm.E("", cnm.NotFound, fmt.Errorf("file %q: %q is no folder", w.given, w.at))
	}
	if !last && info.Mode()&fs.ModeSticky != 0 {
		return checkOwner(w.at, info)
	}
	return checkWriters(w.at, info, true)
}

func (w *walk) finish(want fs.FileMode) (string, fs.FileInfo, error) {
	if len(w.ahead) != 1 || w.ahead[0] == ".." {
		return "", nil, cnm.E("", cnm.Invalid, fmt.Errorf("file %q: is a folder", w.given))
	}
	if err := w.checkFolder(true); err != nil {
		return "", nil, err
	}
	path := filepath.Join(w.at, w.ahead[0])
	info, err := lstat(path)
	if err != nil {
		return "", nil, err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "", nil, untrusted(w.given, "is a symbolic link; put the file itself there")
	case info.Mode().Type() != want && want == fs.ModeSocket:
		return "", nil, cnm.E("", cnm.Invalid, fmt.Errorf("file %q: is no socket", w.given))
	case info.Mode().Type() != want:
		return "", nil, cnm.E("", cnm.Invalid, fmt.Errorf("file %q: is no plain file", w.given))
	}
	// Whoever may write to a socket can connect to it, and not replace it: a group is
	// often allowed to.
	return path, info, checkWriters(path, info, want != fs.ModeSocket)
}

func lstat(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, cnm.E("", cnm.NotFound, err)
	case err != nil:
		return nil, cnm.E("", cnm.Internal, err)
	}
	return info, nil
}

func checkOwner(path string, info fs.FileInfo) error {
	uid, _, ok := fileowner.Of(info)
	switch {
	case !ok:
		return cnm.E("", cnm.Unsupported, fmt.Errorf("file %q: this system does not tell whose it is", path))
	case uid != 0 && uid != os.Geteuid():
		return untrusted(path, "belongs to user %d; plugins must be root's or our own (user %d): chown it", uid, os.Geteuid())
	}
	return nil
}

func checkWriters(path string, info fs.FileInfo, group bool) error {
	if err := checkOwner(path, info); err != nil {
		return err
	}
	_, gid, _ := fileowner.Of(info)
	switch mode := info.Mode().Perm(); {
	case mode&writableByOther != 0:
		return untrusted(path, "everybody can write to it (mode %04o), and so pass for a plugin: chmod o-w", mode)
	case group && mode&writableByGroup != 0 && gid != 0 && gid != os.Getegid():
		return untrusted(path, "group %d can write to it (mode %04o), and so pass for a plugin: chmod g-w", gid, mode)
	}
	return nil
}
