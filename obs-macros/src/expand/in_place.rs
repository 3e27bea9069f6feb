//! A body that stays in its function: its `return`s end the call.

use super::declare::Leave;
use super::{local, without_impl_trait};
use crate::model::Model;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::visit_mut::VisitMut;
use syn::{Block, Expr, ExprReturn};

// Input:
//     return check(left);
// Output:
//     return { let __ret: Result<u32, E> = check(left); (&mut __call).leave(judge!(&__ret), __ret) };
/// The body, with its own `return`s, not those of closures in it. One that is half typed stays as it is, and
/// so do those inside macros: they leave the function with the call still open.
pub(super) fn with_early_returns(model: &Model, leave: &Leave) -> TokenStream {
    let body = &model.function.body;
    let Ok(mut block) = syn::parse2::<Block>(quote!({ #body })) else { return body.clone() };
    let mut returns =
        Returns { output: without_impl_trait(model.function.output()).into_token_stream(), leave };
    returns.visit_block_mut(&mut block);
    block.stmts.iter().map(ToTokens::to_token_stream).collect()
}

struct Returns<'a> {
    output: TokenStream,
    leave: &'a Leave,
}

impl VisitMut for Returns<'_> {
    fn visit_expr_return_mut(&mut self, node: &mut ExprReturn) {
        syn::visit_mut::visit_expr_return_mut(self, node);
        let (output, Leave { before, result }, ret) = (&self.output, self.leave, local("__ret"));
        let value = node.expr.take().map_or_else(|| quote!(()), ToTokens::into_token_stream);
        let ended = quote!({ let #ret: #output = #value; #before #result });
        node.expr = Some(Box::new(Expr::Verbatim(ended)));
    }

    fn visit_expr_closure_mut(&mut self, _: &mut syn::ExprClosure) {}

    fn visit_expr_async_mut(&mut self, _: &mut syn::ExprAsync) {}

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}
