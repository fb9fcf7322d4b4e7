package worker

// yields decides whether the partition gives way to those of other imports: once it has
// been at work for a slice of time, if a partition of another import is the next in
// line. A walk that gives way starts over, so it goes on for as long as it took to
// come to its first new key: repeated keys take half of its time at most. It decides once
// for each load.
func (l *lister) yields() bool {
	worker := l.d.worker
	total, fresh := l.meter.atWork()
	if total < worker.cfg.Slice || fresh < total-fresh {
		return false
	}
	load, seq := worker.load.Last()
	if seq == l.decided || load.Next == "" || load.Next == l.rest.ImportID {
		return false
	}
	l.decided = seq
	return worker.chance.elects(load.Pending, load.Running)
}
