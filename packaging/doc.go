// Package packaging holds what a distribution needs beside the program: units for systemd
// and an example of the configuration. Its test checks them, and the Debian package.
package packaging
