package kernel

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// NodeID names this process so that no other process, now or after a restart,
// has the same name: host, process ID and start time.
var NodeID = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s/%d/%x", host, os.Getpid(), time.Now().UnixMilli())
})
