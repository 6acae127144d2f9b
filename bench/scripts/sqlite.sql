CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price INTEGER, kind INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
INSERT INTO item SELECT i, 'item ' || (i * 7919 % 120011), i * 31 % 1009, i * 17 % 97 FROM n;
CREATE INDEX by_name ON item(name);
CREATE INDEX by_kind ON item(kind, price);
SELECT kind, count(*), sum(price), min(name), max(name) FROM item GROUP BY kind ORDER BY 3 DESC LIMIT 20;
SELECT count(*) FROM item a JOIN item b ON a.kind = b.kind AND a.price = b.price AND a.id < b.id;
UPDATE item SET price = price + 1 WHERE name LIKE 'item 1%';
SELECT sum(price * kind), sum(length(name)) FROM item;
DELETE FROM item WHERE id % 3 = 0;
SELECT name FROM item ORDER BY name DESC LIMIT 5;
