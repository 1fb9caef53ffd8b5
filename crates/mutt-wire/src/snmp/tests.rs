//! Whole datagrams: own packets, mutations of them, and the corpora.
