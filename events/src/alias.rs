//! Names that other trackers use for the same events.
//!
//! | canonical (GA4) | Segment ecommerce spec v2 | Shopify web pixel |
//! |---|---|---|
//! | `view_item_list` | Product List Viewed | `collection_viewed` |
//! | `view_item` | Product Viewed | `product_viewed` |
//! | `add_to_cart` | Product Added | `product_added_to_cart` |
//! | `remove_from_cart` | Product Removed | `product_removed_from_cart` |
//! | `view_cart` | Cart Viewed | `cart_viewed` |
//! | `begin_checkout` | Checkout Started | `checkout_started` |
//! | `add_payment_info` | Payment Info Entered | `payment_info_submitted` |
//! | `purchase` | Order Completed | `checkout_completed` |
//! | `refund` | Order Refunded | – |
//!
//! Canonical and Shopify names are exact. Segment's are compared without regard to ASCII case, as its
//! libraries leave the case to the caller. Left out: events with no canonical counterpart here (clicks,
//! checkout steps, shipping) and `Order Updated` and `Order Cancelled`, which do not say whether money moved.

use crate::EventType::{
    self, AddPaymentInfo, AddToCart, BeginCheckout, Purchase, Refund, RemoveFromCart, ViewCart, ViewItem,
    ViewItemList,
};

const SEGMENT: [(&str, EventType); 9] = [
    ("Product List Viewed", ViewItemList),
    ("Product Viewed", ViewItem),
    ("Product Added", AddToCart),
    ("Product Removed", RemoveFromCart),
    ("Cart Viewed", ViewCart),
    ("Checkout Started", BeginCheckout),
    ("Payment Info Entered", AddPaymentInfo),
    ("Order Completed", Purchase),
    ("Order Refunded", Refund),
];

const SHOPIFY: [(&str, EventType); 8] = [
    ("collection_viewed", ViewItemList),
    ("product_viewed", ViewItem),
    ("product_added_to_cart", AddToCart),
    ("product_removed_from_cart", RemoveFromCart),
    ("cart_viewed", ViewCart),
    ("checkout_started", BeginCheckout),
    ("payment_info_submitted", AddPaymentInfo),
    ("checkout_completed", Purchase),
];

/// The event type of a canonical name or of an alias; `None` when there is none.
///
/// ```
/// use events::{EventType, canonical};
/// assert_eq!(canonical("add_to_cart"), Some(EventType::AddToCart));
/// assert_eq!(canonical("product added"), Some(EventType::AddToCart));
/// assert_eq!(canonical("product_added_to_cart"), Some(EventType::AddToCart));
/// assert_eq!(canonical("Product Clicked"), None);
/// ```
pub fn canonical(name: &str) -> Option<EventType> {
    if let Ok(event_type) = name.parse() {
        return Some(event_type);
    }
    let shopify = SHOPIFY.iter().find(|(alias, _)| *alias == name);
    let found = shopify.or_else(|| SEGMENT.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)));
    found.map(|(_, event_type)| *event_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_maps_and_hides_no_canonical_name() {
        for (name, event_type) in SEGMENT {
            for spelling in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(canonical(&spelling), Some(event_type), "{spelling}");
            }
        }
        for (name, event_type) in SHOPIFY {
            assert_eq!(canonical(name), Some(event_type), "{name}");
            assert_eq!(canonical(&name.to_uppercase()), None, "Shopify's names are exact");
        }
        for event_type in EventType::ALL {
            assert_eq!(canonical(event_type.name()), Some(event_type));
        }
        for unknown in ["", " ", "Order Cancelled", "Product  Added", "add_to_cart ", "ADD_TO_CART"] {
            assert_eq!(canonical(unknown), None, "{unknown:?}");
        }
    }
}
