package server

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dbos-go/dbos"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// nodeService implements dbosv1connect.NodeServiceHandler.
type nodeService struct {
	sys *dbos.System
}

func (s *nodeService) Status(ctx context.Context, _ *dbosv1.StatusRequest) (*dbosv1.StatusResponse, error) {
	status, err := s.sys.Status(ctx)
	if err != nil {
		return nil, err
	}
	res := &dbosv1.StatusResponse{
		Version: version(), GoVersion: runtime.Version(),
		Engine: status.Engine, EngineVersion: status.Status.Version,
		Location: text(status.Location), Durability: status.Durability.String(),
		Node: text(status.Node), Pid: int64(os.Getpid()), Program: program(),
		OpenedAt: timestamppb.New(status.Opened), Launched: status.Launched,
		App: text(status.App), AppVersion: text(status.Version),
		LastLsn: int64(status.LastLSN), OldestLsn: int64(status.OldestLSN),
		History: status.History, HistoryLag: status.HistoryLag,
	}
	for state, n := range status.Runs {
		res.Runs = append(res.Runs, &dbosv1.RunCount{State: stateMessage(state), Count: int64(n)})
	}
	for _, n := range status.Nodes {
		res.Nodes = append(res.Nodes, &dbosv1.Node{Name: text(n.ID), StartedAt: timestamppb.New(n.Started), Alive: n.Alive, Runs: int64(n.Running)})
	}
	slices.SortFunc(res.Runs, func(a, b *dbosv1.RunCount) int { return int(a.State - b.State) })
	return res, nil
}

func program() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return text(filepath.Base(path))
}

// version returns the version of this module in the running program, as the
// Go command recorded it: "(devel)" in a build of a working copy.
func version() string {
	const module = "github.com/dbos-go/dbos"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}
