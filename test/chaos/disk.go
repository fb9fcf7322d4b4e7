package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is the size of a NATS server's own disk, in bytes.
const diskSize = 48 << 20

// disk is the disk, or the directory, of a NATS server's files.
type disk struct {
	dir    string
	image  string // file of a loop device; "" if there is none
	memory string // the directory that holds the image
	isOwn  bool   // a disk is mounted on dir
	filler string
}

// newDisk makes a directory, and mounts a disk on it if the layout has disks.
func newDisk(dir string, l layout) (*disk, error) {
	d := &disk{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a store directory: %w", err)
	}
	switch l {
	case small:
		if err := inMemory(dir, diskSize); err != nil {
			return nil, err
		}
		d.isOwn, d.filler = true, filepath.Join(dir, "filler")
	case loop:
		// The image is in memory, so that the speed of the machine's disk does not matter.
		d.memory = dir + ".image"
		if err := errors.Join(os.MkdirAll(d.memory, 0o700), inMemory(d.memory, 3*diskSize)); err != nil {
			return nil, err
		}
		d.image = filepath.Join(d.memory, "disk")
		if err := d.format(); err != nil {
			return nil, err
		}
		return d, d.mount()
	default:
	}
	return d, nil
}

// inMemory mounts a tmpfs on a directory.
func inMemory(dir string, size int) error {
	return command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "chaos", dir)
}

func (d *disk) format() error {
	f, err := os.Create(d.image)
	if err != nil {
		return fmt.Errorf("make a disk image: %w", err)
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close()); err != nil {
		return fmt.Errorf("make a disk image: %w", err)
	}
	return command("mkfs.ext4", "-q", "-F", d.image)
}

func (d *disk) mount() error {
	if err := command("mount", "-o", "loop", d.image, d.dir); err != nil {
		return err
	}
	d.isOwn = true
	return nil
}

func (d *disk) unmount() error {
	if !d.isOwn {
		return nil
	}
	d.isOwn = false
	if err := syscall.Unmount(d.dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	return nil
}

// remove unmounts what newDisk mounted.
func (d *disk) remove() error {
	err := d.unmount()
	if d.memory != "" {
		if failed := syscall.Unmount(d.memory, 0); failed != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", d.memory, failed))
		}
	}
	return err
}

// fill uses up all free space.
func (d *disk) fill() error {
	f, err := os.Create(d.filler)
	if err != nil {
		return fmt.Errorf("fill a disk: %w", err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); ; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return fmt.Errorf("fill a disk: %w", err)
		}
	}
}

func (d *disk) empty() error { return os.Remove(d.filler) }

// copyImage copies the disk. Writes that are still in memory are missing in the copy, as after
// a power cut.
func (d *disk) copyImage() error {
	return command("cp", "--sparse=always", d.image, d.image+".cut")
}

// cut replaces the disk by the copy. No process may use the disk.
func (d *disk) cut() error {
	if err := d.unmount(); err != nil {
		return err
	}
	if err := os.Rename(d.image+".cut", d.image); err != nil {
		return fmt.Errorf("replace the disk after a power cut: %w", err)
	}
	return d.mount()
}

// Requests of ioctl for a file system, from linux/fs.h and linux/ext4.h.
const (
	ioctlFreeze = 0xC0045877 // writes block from now on
	ioctlThaw   = 0xC0045878
	ioctlFail   = 0x8004587D // all calls fail with an I/O error from now on
	failNow     = 1          // after the journal is written
)

// hang blocks all writes.
func (d *disk) hang() error { return d.ioctl(ioctlFreeze, 0) }

// resume ends hang.
func (d *disk) resume() error { return d.ioctl(ioctlThaw, 0) }

// fail makes all reads and writes fail until the disk is mounted again.
func (d *disk) fail() error { return d.ioctl(ioctlFail, failNow) }

func (d *disk) ioctl(what uint, arg int) error {
	f, err := os.Open(d.dir)
	if err != nil {
		return fmt.Errorf("open a disk: %w", err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), what, arg); err != nil {
		return fmt.Errorf("ioctl %#x of the disk on %s: %w", what, d.dir, err)
	}
	return nil
}

// remount mounts the disk again. No process may use it.
func (d *disk) remount() error {
	if err := d.unmount(); err != nil {
		return err
	}
	return d.mount()
}

func command(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

// canMount reports whether this process can mount disks and cut their power.
func canMount(dir string) bool {
	if os.Geteuid() != 0 {
		return false
	}
	for _, l := range []layout{small, loop} {
		d, err := newDisk(filepath.Join(dir, fmt.Sprintf("probe-%d", l)), l)
		if err != nil || d.remove() != nil {
			return false
		}
	}
	return true
}
