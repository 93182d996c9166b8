// Package packaging holds what a distribution needs beside the program: units for systemd,
// an example of the configuration, and a list for the CNI plugin. Its test checks them, and the Debian package.
package packaging
