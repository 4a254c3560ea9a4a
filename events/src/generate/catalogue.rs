//! The products of the simulated shop: ids, categories, prices and popularity.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::random::{Weighted, below};
use crate::Error;

/// One product of the simulated shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// From 1.
    pub id: u32,
    /// From 1.
    pub category_id: u32,
    /// Unit price in minor units.
    pub price_minor: u32,
}

/// The products, with their popularity by Zipf's law. Which product is how popular depends on the seed.
#[derive(Debug, Clone)]
pub struct Catalogue {
    products: Vec<Product>,
    /// Rank to index into `products`.
    by_rank: Vec<u32>,
    popularity: Weighted,
}

impl Catalogue {
    /// Products `1..=count` in `categories` categories. A product's category and price depend only on its id
    /// and the seed: adding products does not change those that are there. Prices run from 2.99 to 299.99,
    /// cheap ones more often.
    ///
    /// # Errors
    /// [`Error::Setting`] as [`Catalogue::new`], and when `categories` is 0.
    pub fn derived(count: u32, categories: u32, zipf_exponent: f64, seed: u64) -> Result<Self, Error> {
        if categories == 0 {
            let problem = "is 0; use at least 1".to_owned();
            return Err(Error::Setting { setting: "categories", problem });
        }
        let product = |id: u32| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (u64::from(id) << 32));
            let category_id = 1 + below(&mut rng, u64::from(categories)) as u32;
            // Two factors of a uniform draw: dense near the cheap end, without floating point.
            let skew = below(&mut rng, 1_000) * below(&mut rng, 1_000) / 1_000;
            let whole = 2 + skew * 298 / 1_000;
            Product { id, category_id, price_minor: (whole * 100 + 99) as u32 }
        };
        Catalogue::new((1..=count.min(MOST + 1)).map(product).collect(), zipf_exponent, seed)
    }

    /// A catalogue of known products, for example those of a shop's database.
    ///
    /// # Errors
    /// [`Error::Setting`] when there are no products or more than a million, when an id or a category is 0,
    /// or when the exponent is not from 0 to 4.
    pub fn new(products: Vec<Product>, zipf_exponent: f64, seed: u64) -> Result<Self, Error> {
        let wrong = |setting, problem: String| Err(Error::Setting { setting, problem });
        if products.is_empty() || products.len() > MOST as usize {
            return wrong("products", format!("there are {}; use 1 to {MOST}", products.len()));
        }
        if products.iter().any(|p| p.id == 0 || p.category_id == 0) {
            return wrong("products", "an id or category is 0; both start at 1".to_owned());
        }
        if !(0.0..=4.0).contains(&zipf_exponent) {
            return wrong("zipf_exponent", format!("is {zipf_exponent}; use 0 (all alike) to 4"));
        }
        let mut by_rank: Vec<u32> = (0..products.len() as u32).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for i in (1..by_rank.len()).rev() {
            by_rank.swap(i, below(&mut rng, i as u64 + 1) as usize);
        }
        let popularity = Weighted::zipf(products.len(), zipf_exponent);
        Ok(Catalogue { products, by_rank, popularity })
    }

    /// The products, in the order given.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// Index of a product, chosen by popularity.
    pub(crate) fn pick(&self, rng: &mut impl RngCore) -> u32 {
        self.by_rank[self.popularity.sample(rng)]
    }

    pub(crate) fn at(&self, index: u32) -> Product {
        self.products[index as usize]
    }
}

const MOST: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_depends_on_its_id_and_the_seed_only() {
        let small = Catalogue::derived(10, 6, 1.0, 3).unwrap();
        let large = Catalogue::derived(500, 6, 1.0, 3).unwrap();
        assert_eq!(small.products(), &large.products()[..10]);
        assert_ne!(small.products(), Catalogue::derived(10, 6, 1.0, 4).unwrap().products());
        for (i, p) in large.products().iter().enumerate() {
            assert_eq!(p.id as usize, i + 1);
            assert!((1..=6).contains(&p.category_id) && (299..=29_999).contains(&p.price_minor), "{p:?}");
        }
    }

    #[test]
    fn bad_catalogues_are_refused() {
        assert!(Catalogue::derived(0, 6, 1.0, 3).is_err());
        assert!(Catalogue::derived(u32::MAX, 6, 1.0, 3).is_err());
        assert!(Catalogue::derived(5, 0, 1.0, 3).is_err());
        assert!(Catalogue::derived(5, 1, f64::NAN, 3).is_err());
        assert!(Catalogue::new(vec![Product { id: 0, category_id: 1, price_minor: 1 }], 1.0, 3).is_err());
    }
}
