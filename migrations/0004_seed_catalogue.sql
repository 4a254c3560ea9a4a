-- A small catalogue of our own, so that a fresh shop has something to show. Names are invented.

INSERT INTO categories (id, slug, name) VALUES
    (1, 'kitchen', 'Kitchen'),
    (2, 'lighting', 'Lighting'),
    (3, 'textiles', 'Textiles'),
    (4, 'desk', 'Desk and paper'),
    (5, 'garden', 'Garden'),
    (6, 'travel', 'Travel');

INSERT INTO products (id, category_id, name, description, price_minor, currency, stock) VALUES
    (1, 1, 'Tidewater mug', 'Stoneware mug, 350 ml, glazed in sea green.', 1490, 'EUR', 180),
    (2, 1, 'Cinderpan 26', 'Cast-iron pan, 26 cm, seasoned.', 4900, 'EUR', 60),
    (3, 1, 'Larkspoon set', 'Four beech spoons for pot and pan.', 1850, 'EUR', 140),
    (4, 1, 'Millbrook kettle', 'Steel kettle, 1.7 l, for every hob.', 5600, 'EUR', 45),
    (5, 2, 'Halfmoon lamp', 'Table lamp with a paper shade, warm light.', 6900, 'EUR', 40),
    (6, 2, 'Glowworm string', 'Ten metres of outdoor lights.', 3450, 'EUR', 90),
    (7, 2, 'Northwall sconce', 'Wall lamp in brushed brass.', 8200, 'EUR', 25),
    (8, 2, 'Candela trio', 'Three candle holders of dark glass.', 2700, 'EUR', 110),
    (9, 3, 'Fjordthrow blanket', 'Wool blanket, 140 by 200 cm.', 9900, 'EUR', 35),
    (10, 3, 'Pebble cushion', 'Round cushion, linen cover.', 3200, 'EUR', 80),
    (11, 3, 'Morningfold towels', 'Two cotton towels, 50 by 100 cm.', 2600, 'EUR', 120),
    (12, 3, 'Driftlinen curtain', 'Linen curtain, 140 by 250 cm.', 5400, 'EUR', 50),
    (13, 4, 'Inkhollow pen', 'Fountain pen with a converter.', 3900, 'EUR', 75),
    (14, 4, 'Gridleaf notebook', 'A5, 160 pages, dotted.', 1250, 'EUR', 300),
    (15, 4, 'Stackwell tray', 'Letter tray in oiled oak.', 2950, 'EUR', 65),
    (16, 4, 'Papercairn weight', 'Paperweight of river stone.', 1690, 'EUR', 95),
    (17, 5, 'Rootkeeper trowel', 'Hand trowel with an ash handle.', 1980, 'EUR', 130),
    (18, 5, 'Sprig planter M', 'Clay planter, 24 cm, with saucer.', 2490, 'EUR', 85),
    (19, 5, 'Dewcatcher can', 'Watering can, 8 l, zinc.', 3650, 'EUR', 55),
    (20, 5, 'Beehollow house', 'Nesting house for wild bees.', 2890, 'EUR', 70),
    (21, 6, 'Waymark backpack', 'Waxed canvas, 22 l.', 11900, 'EUR', 30),
    (22, 6, 'Slowmile bottle', 'Insulated bottle, 750 ml.', 2790, 'EUR', 160),
    (23, 6, 'Foldaway pouch set', 'Three packing pouches.', 2150, 'EUR', 115),
    (24, 6, 'Nightferry pillow', 'Neck pillow with a washable cover.', 2990, 'EUR', 90);

-- Rows with explicit ids do not move the sequences; the next product must not collide with these.
SELECT setval(pg_get_serial_sequence('categories', 'id'), (SELECT max(id) FROM categories));
SELECT setval(pg_get_serial_sequence('products', 'id'), (SELECT max(id) FROM products));
