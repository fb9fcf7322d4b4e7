package worker

import "encoding/json"

// say tells all workers a word, this one included. It may be lost.
func (w *Worker) say(topic string, word any) {
	data, err := json.Marshal(word)
	if err == nil {
		err = w.cfg.Queue.Tell(topic, data)
	}
	if err != nil {
		w.cfg.Log.Debug("talk to other workers", "topic", topic, "err", err)
	}
}
