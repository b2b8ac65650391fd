"""Who speaks when: the turns of a recording, and the speaker of each utterance of a stream."""
