-- Carts and orders. Ids are random UUIDs: whoever knows one may act on it, so they must not be guessable.

CREATE TABLE carts (
    id           uuid PRIMARY KEY,
    -- The visitor and the visitor's session, as the shop front end names them.
    anonymous_id text NOT NULL,
    session_id   text NOT NULL,
    -- human | bot | test | staff: stored with the cart so that all its events say the same.
    traffic      text NOT NULL CONSTRAINT carts_traffic_check
                 CHECK (traffic IN ('human', 'bot', 'test', 'staff')),
    status       text NOT NULL DEFAULT 'open' CONSTRAINT carts_status_check
                 CHECK (status IN ('open', 'ordered')),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);

CREATE TABLE cart_items (
    cart_id    uuid NOT NULL CONSTRAINT cart_items_cart_id_fkey REFERENCES carts (id) ON DELETE CASCADE,
    product_id bigint NOT NULL CONSTRAINT cart_items_product_id_fkey REFERENCES products (id),
    quantity   integer NOT NULL CONSTRAINT cart_items_quantity_check CHECK (quantity BETWEEN 1 AND 999),
    added_at   timestamptz NOT NULL,
    PRIMARY KEY (cart_id, product_id)
);

CREATE TABLE orders (
    id           uuid PRIMARY KEY,
    -- One order per cart: two clicks on "buy" cannot make two orders.
    cart_id      uuid NOT NULL CONSTRAINT orders_cart_id_key UNIQUE
                 CONSTRAINT orders_cart_id_fkey REFERENCES carts (id),
    anonymous_id text NOT NULL,
    session_id   text NOT NULL,
    status       text NOT NULL DEFAULT 'placed' CONSTRAINT orders_status_check CHECK (status IN ('placed')),
    currency     text NOT NULL CONSTRAINT orders_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    total_minor  bigint NOT NULL CONSTRAINT orders_total_minor_check CHECK (total_minor >= 0),
    created_at   timestamptz NOT NULL
);

CREATE TABLE order_items (
    order_id    uuid NOT NULL CONSTRAINT order_items_order_id_fkey REFERENCES orders (id),
    line        integer NOT NULL,
    product_id  bigint NOT NULL CONSTRAINT order_items_product_id_fkey REFERENCES products (id),
    -- Name and price as they were when the order was placed: a later change must not rewrite history.
    name        text NOT NULL,
    quantity    integer NOT NULL CONSTRAINT order_items_quantity_check CHECK (quantity >= 1),
    price_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    PRIMARY KEY (order_id, line)
);

-- What a key was used for and what was answered. Written in the order's own transaction, so a key is known
-- exactly when its order exists.
CREATE TABLE idempotency_keys (
    scope      text NOT NULL,
    key        text NOT NULL,
    request    jsonb NOT NULL,
    status     integer,
    response   jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
