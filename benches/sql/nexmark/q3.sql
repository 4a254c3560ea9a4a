-- Local items: who sells in some states, for auctions of one category.
CREATE TABLE q3 (
  name  STRING,
  city  STRING,
  state STRING,
  id    BIGINT
) WITH (${q3});

INSERT INTO q3
SELECT P.name, P.city, P.state, A.id
FROM auction AS A JOIN person AS P ON A.seller = P.id
WHERE A.category = 10 AND (P.state = 'OR' OR P.state = 'ID' OR P.state = 'CA');
