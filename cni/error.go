package cni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// fail returns an error with one of the codes of the specification, section "Error".
func fail(code uint, format string, arguments ...any) *types.Error {
	return types.NewError(code, fmt.Sprintf(format, arguments...), "")
}

// unsupported refuses a key of the configuration with its value, as the code demands.
func unsupported(key string, value any, why string) *types.Error {
	text, err := json.Marshal(value)
	if err != nil {
		text = fmt.Append(nil, value)
	}
	const most = 200 // bytes of a value that are shown
	if len(text) > most {
		text = append(text[:most:most], "..."...)
	}
	return fail(types.ErrUnsupportedField, "key %q with value %s: %s", key, text, why)
}

// invalid refuses the configuration.
func invalid(format string, arguments ...any) *types.Error {
	return fail(types.ErrInvalidNetworkConfig, format, arguments...)
}

// coded gives an error of the library or of the daemon the code of its kind.
func coded(err error) *types.Error {
	var known *types.Error
	if errors.As(err, &known) {
		return known
	}
	out := types.NewError(api.CNICode(cnm.KindOf(err)), err.Error(), "")
	if errors.Is(err, context.DeadlineExceeded) {
		out.Code = types.ErrTryAgainLater
	}
	var reported *api.Error
	if errors.As(err, &reported) {
		out.Details = reported.Detail
	}
	return out
}

// report is the form of an error on standard output. The specification wants the version
// in it, which the library's type does not have.
type report struct {
	CNIVersion string `json:"cniVersion"`
	*types.Error
}

// printError writes an error in the form of the specification.
func printError(to io.Writer, version string, err error) {
	text, marshalErr := json.MarshalIndent(report{version, coded(err)}, "", "    ")
	if marshalErr != nil {
		text = fmt.Appendf(nil, `{"code":%d,"msg":"the error cannot be written"}`, types.ErrInternal)
	}
	// Who does not read it learns by the exit status that there was one.
	_, _ = to.Write(append(text, '\n'))
}
