package plugin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Bounds of what is read from folders.
const (
	// longestName keeps the path of a socket below the 108 bytes of sockaddr_un (unix(7))
	// in the usual folders; a name that is used twice has half of that.
	longestName = 64
	// longestFile is far more than a .spec or .json file has to say, in bytes.
	longestFile = 64 << 10
	// mostEntries of a folder are listed.
	mostEntries = 4096
)

// checkName refuses what could be anything but the name of a file in the folders.
func checkName(name string) error {
	if ValidName(name) {
		return nil
	}
	return cnm.E("", cnm.Invalid, fmt.Errorf("is no name of a plugin: want 1 to %d letters, digits, '_', '.' and '-', the first a letter or digit", longestName))
}

// ValidName reports whether a plugin can have the name: 1 to 64 letters, digits, '_', '.'
// and '-', of which the first is a letter or digit.
func ValidName(name string) bool {
	if name == "" || len(name) > longestName {
		return false
	}
	for i, r := range []byte(name) {
		alphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alphanumeric && (i == 0 || r != '_' && r != '.' && r != '-') {
			return false
		}
	}
	return true
}

// Where a plugin's address comes from.
type sourceKind int

const (
	fromSocket sourceKind = iota // the file is the socket
	fromSpec                     // the file has the address as its one line
	fromJSON                     // the file has the address, and how to encrypt
)

// source is the file that a plugin was found by.
type source struct {
	kind sourceKind
	path string
	info fs.FileInfo
}

// same reports whether it is the same file with the same content. Times are compared,
// as the number of a deleted file is given to the next one.
func (s source) same(other source) bool { return s.path == other.path && sameFile(s.info, other.info) }

func sameFile(a, b fs.FileInfo) bool { return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) }

// locate finds the file for a name: sockets first, as Docker does. NotFound is for none.
func (r *Registry) locate(name string) (source, error) {
	var looked []string
	var candidates []source
	for _, folder := range r.options.SocketFolders {
		candidates = append(candidates,
			source{kind: fromSocket, path: filepath.Join(folder, name+".sock")},
			source{kind: fromSocket, path: filepath.Join(folder, name, name+".sock")})
	}
	for _, folder := range r.options.SpecFolders {
		candidates = append(candidates,
			source{kind: fromSpec, path: filepath.Join(folder, name+".spec")},
			source{kind: fromJSON, path: filepath.Join(folder, name+".json")})
	}
	for _, c := range candidates {
		info, err := os.Lstat(c.path)
		switch {
		case err == nil:
			c.info = info
			return c, nil
		case !errors.Is(err, fs.ErrNotExist) && !isNotFolder(err):
			return source{}, cnm.E("", cnm.Internal, err)
		}
		looked = append(looked, fmt.Sprintf("%q", c.path))
	}
	return source{}, cnm.E("", cnm.NotFound, fmt.Errorf("there is none of %s; start the plugin, or choose another driver", strings.Join(looked, ", ")))
}

// isNotFolder is for NAME/NAME.sock where NAME is a file.
func isNotFolder(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && notFolder(path.Err)
}

// readTrusted returns the content of a file that nobody else could have written.
func readTrusted(path string) ([]byte, error) {
	resolved, _, err := trusted(path, 0)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(resolved)
	if err != nil {
		return nil, cnm.E("", cnm.Internal, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(io.LimitReader(f, longestFile+1))
	switch {
	case err != nil:
		return nil, cnm.E("", cnm.Internal, err)
	case len(content) > longestFile:
		return nil, cnm.E("", cnm.Invalid, fmt.Errorf("file %q: is longer than %d bytes", path, longestFile))
	}
	return content, nil
}

// entries lists a folder, which need not exist.
func entries(folder string) ([]fs.DirEntry, error) {
	f, err := os.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	found, err := f.ReadDir(mostEntries)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return found, err
}

func socketNames(folder string) ([]string, error) {
	found, err := entries(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range found {
		name, isSocket := strings.CutSuffix(e.Name(), ".sock")
		isSocket = isSocket && e.Type()&fs.ModeSocket != 0
		if e.IsDir() {
			info, err := os.Lstat(filepath.Join(folder, name, name+".sock"))
			isSocket = err == nil && info.Mode()&fs.ModeSocket != 0
		}
		if isSocket && ValidName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func specNames(folder string) ([]string, error) {
	found, err := entries(folder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range found {
		extension := filepath.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), extension)
		if e.Type().IsRegular() && (extension == ".spec" || extension == ".json") && ValidName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}
