-- name: sku_on_sale
-- Whether the SKU can be bought at all.
SELECT true FROM sku WHERE sku_id = $1 AND NOT withdrawn;

-- name: set_entry<!
-- Put a SKU that is on sale into the cart with this quantity. Leaves the cart as it is then; no row when nothing
-- was put: there is no such SKU, or the cart is full. Two calls at once may pass the limit by one: it bounds the
-- cart, it is not a promise.
WITH put AS (
    INSERT INTO cart_entry (buyer_id, sku_id, quantity, updated_at)
    SELECT $1, sku_id, $3, $4 FROM sku
    WHERE sku_id = $2 AND NOT withdrawn
      AND (EXISTS (SELECT FROM cart_entry WHERE buyer_id = $1 AND sku_id = $2)
           OR (SELECT count(*) FROM cart_entry WHERE buyer_id = $1) < $5)
    ON CONFLICT (buyer_id, sku_id) DO UPDATE SET quantity = excluded.quantity, updated_at = excluded.updated_at
    RETURNING sku_id, quantity, updated_at
), cart AS (
    SELECT * FROM put
    UNION ALL
    SELECT sku_id, quantity, updated_at FROM cart_entry
    WHERE buyer_id = $1 AND sku_id <> $2 AND EXISTS (SELECT FROM put)
)
SELECT sku_id, quantity, item_id, shop_id, title, attributes, prices, NOT withdrawn AS on_sale
FROM cart JOIN sku USING (sku_id) JOIN item USING (item_id) ORDER BY updated_at DESC, sku_id;

-- name: list_entries
-- A buyer's cart, what was touched last first.
SELECT sku_id, quantity, item_id, shop_id, title, attributes, prices, NOT withdrawn AS on_sale
FROM cart_entry JOIN sku USING (sku_id) JOIN item USING (item_id)
WHERE buyer_id = $1 ORDER BY updated_at DESC, sku_id;

-- name: remove_entries!
-- Take SKUs out of the cart.
DELETE FROM cart_entry WHERE buyer_id = $1 AND sku_id = ANY($2::text[]);

-- name: remove_all_entries!
-- Empty the cart.
DELETE FROM cart_entry WHERE buyer_id = $1;
