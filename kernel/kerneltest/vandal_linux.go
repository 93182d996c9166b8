package kerneltest

import (
	"context"

	"github.com/docker/libnetwork/kernel/rtnl"
)

// DeleteLink deletes a link as somebody else would, behind the back of whoever made
// it.
func DeleteLink(namespace, name string) error {
	return Do(namespace, func() error {
		conn, err := rtnl.Dial()
		if err != nil {
			return err
		}
		defer conn.Close() //nolint:errcheck // nothing to lose
		var link rtnl.Link
		if err := conn.Execute(context.Background(), rtnl.GetLink(name, &link)); err != nil {
			return err
		}
		return conn.Execute(context.Background(), rtnl.DeleteLink(link.Index))
	})
}
