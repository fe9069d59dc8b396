//! Reconcilers that push the stored state towards where it should be, and the operations of the product, one verb a file.
