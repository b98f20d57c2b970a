package pgwire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// peerOwner returns who runs the client of a connection over the loopback
// interface: the kernel lists the owner of every socket.
func peerOwner(conn net.Conn) (peer, error) {
	client, ok := conn.RemoteAddr().(*net.TCPAddr)
	server, ok2 := conn.LocalAddr().(*net.TCPAddr)
	if !ok || !ok2 {
		return peer{}, errors.New("it does not come by TCP")
	}
	from, to := client.AddrPort(), server.AddrPort()
	for _, list := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		uid, err := socketOwner(list, from, to)
		if err == nil {
			return peer{osUser(strconv.Itoa(uid)), uid == os.Getuid()}, nil
		}
		if !errors.Is(err, errNoSocket) {
			return peer{}, err
		}
	}
	return peer{}, errNoSocket
}

var errNoSocket = errors.New("its socket is not on this machine, or in another container")

// socketOwner looks for a socket in one of the kernel's lists.
func socketOwner(list string, from, to netip.AddrPort) (int, error) {
	f, err := os.Open(list)
	if errors.Is(err, os.ErrNotExist) {
		return 0, errNoSocket
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 8 || !isSocket(words[1], from) || !isSocket(words[2], to) {
			continue
		}
		return strconv.Atoi(words[7])
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, errNoSocket
}

// isSocket compares an address with its form in the list: hexadecimal digits,
// of words in the machine's byte order, and the port.
func isSocket(text string, addr netip.AddrPort) bool {
	digits, port, ok := strings.Cut(text, ":")
	if !ok || port != fmt.Sprintf("%04X", addr.Port()) {
		return false
	}
	ip := addr.Addr().Unmap()
	if len(digits) == 32 {
		b := ip.As16()
		return digits == hexWords(b[:])
	}
	if !ip.Is4() {
		return false
	}
	b := ip.As4()
	return digits == hexWords(b[:])
}

func hexWords(b []byte) string {
	var text strings.Builder
	for ; len(b) >= 4; b = b[4:] {
		fmt.Fprintf(&text, "%08X", binary.NativeEndian.Uint32(b))
	}
	return text.String()
}
