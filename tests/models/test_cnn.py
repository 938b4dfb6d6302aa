"""Kim's network: what a filter sees, and what of it counts."""

import torch
from made_models import make_batch
from made_models import make_model as make

from textgauge.models.cnn import WIDTHS


def make_model(seed=0, **sizes):
    return make("cnn", seed, **sizes)


def by_hand(model, vectors):
    """Logits of one text, filter by filter and place by place. Shape: (tokens, embedding)."""
    strongest = []
    for width, convolution in zip(WIDTHS, model.convolutions, strict=True):
        edge = torch.zeros(width - 1, vectors.shape[1])
        padded = torch.cat([edge, vectors, edge])
        places = [padded[i : i + width] for i in range(len(vectors) + width - 1)]
        answers = torch.stack(
            [
                (convolution.weight * place.t()).sum((1, 2)) + convolution.bias  # (filters,)
                for place in places
            ]
        )
        strongest.append(torch.relu(answers.max(0).values))
    return model.output(torch.cat(strongest))


def test_the_logits_are_those_of_the_paper_done_by_hand():
    model = make_model(outputs=3).eval()
    ids, positions, lengths = make_batch()
    logits = model(ids, positions, lengths)
    for row, length in enumerate(lengths):
        vectors = model.vectors(ids[row, :length], positions[row, :length])
        torch.testing.assert_close(logits[row], by_hand(model, vectors), atol=1e-6, rtol=1e-5)


def test_a_bias_counts_at_the_places_of_the_text_alone():
    # Behind a short text every filter would answer with its bias.
    model = make_model().eval()
    with torch.no_grad():
        for convolution in model.convolutions:
            convolution.bias.fill_(5.0)
            convolution.weight.copy_(-torch.ones_like(convolution.weight))
        model.embedding.weight.fill_(1.0)
    ids = torch.full((2, 9), 4)
    short, long = torch.tensor([2, 2]), torch.zeros(2, 9)
    wide, narrow = model(ids, long, short), model(ids[:, :2], long[:, :2], short)
    torch.testing.assert_close(wide, narrow)


def test_gradients_reach_every_filter_and_word():
    model = make_model(outputs=2).train()
    with torch.no_grad():
        for convolution in model.convolutions:
            convolution.bias.fill_(10.0)  # No filter is silent.
    model(*make_batch())[:, 0].sum().backward()
    for convolution in model.convolutions:
        assert (convolution.weight.grad.abs().sum((1, 2)) > 0).all()
    assert model.numbers.weight.grad.abs().sum() > 0
