-- What is over is swept by the worker. Of events only those of more than a year ago are seen by whoever sweeps.
SET LOCAL lock_timeout = '2s';

CREATE POLICY security_event_aged ON security_event FOR SELECT
    USING (current_setting('app.lookup', true) = 'on' AND at < now() - interval '1 year');
CREATE POLICY security_event_sweep ON security_event FOR DELETE
    USING (current_setting('app.lookup', true) = 'on' AND at < now() - interval '1 year');
GRANT DELETE ON api_client, api_client_secret, api_client_minute, read_approval, read_approval_use TO preau_app;
CREATE POLICY read_approval_use_sweep ON read_approval_use FOR DELETE
    USING (school_id = nullif(current_setting('app.school_id', true), '')::uuid);
