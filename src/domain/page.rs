//! Pages of a listing.

/// The largest page.
pub const PAGE_SIZE_MAX: u32 = 1000;
/// The page when no size is asked for.
pub const PAGE_SIZE_DEFAULT: u32 = 100;

/// Which page is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAsk {
    /// 1 to 1,000.
    pub size: u32,
    /// Begin after this sort key, which the last page ended with.
    pub after: Option<String>,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At most as many as were asked for.
    pub items: Vec<T>,
    /// The sort key of the last item, when there is more.
    pub next: Option<String>,
}
