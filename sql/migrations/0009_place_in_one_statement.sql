-- migrate:up
-- What one statement needs to place a whole batch or nothing of it; and less to write for each order.

-- Ends the statement where something that was only hoped for does not hold.
CREATE FUNCTION must_fit(fits boolean) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF NOT fits THEN
        RAISE EXCEPTION 'the batch does not fit' USING ERRCODE = 'check_violation', CONSTRAINT = 'batch_fits';
    END IF;
    RETURN true;
END $$;

-- Movements are only ever read whole, by pool or by order, and by nobody in a hurry: no key to maintain.
ALTER TABLE stock_movement DROP CONSTRAINT stock_movement_pkey;

-- migrate:down
-- Forward only: what a migration made is changed by a later one.
