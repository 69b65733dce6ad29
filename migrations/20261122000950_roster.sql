-- Places in the queue are sealed by keys of the ring, like everything that nodes must read of one another.

SET LOCAL lock_timeout = '2s';

ALTER TABLE key_ring DROP CONSTRAINT key_ring_purpose_known;
ALTER TABLE key_ring ADD CONSTRAINT key_ring_purpose_known CHECK (purpose IN ('access', 'cursor', 'ticket'));
