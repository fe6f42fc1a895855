"""The loop of Chollet (2018), section 8.1, in Keras 3: windows of 60 characters, of which
only the character after the last is predicted; `model.predict` for every character that
is generated. Needs `pip install keras`; runs on the PyTorch back end.
"""

import os
import time

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np

WINDOW, STEP, BATCH = 60, 3, 128


def measure(text: str, seconds: float) -> dict[str, float]:
    """Characters a second in training and in generating.

    RAISES (ImportError): If Keras is not installed.
    """
    import keras

    symbols = sorted(set(text))
    table = {symbol: i for i, symbol in enumerate(symbols)}
    starts = range(0, min(len(text), 60_000) - WINDOW, STEP)
    inputs = np.zeros((len(starts), WINDOW, len(symbols)), dtype="float32")
    targets = np.zeros((len(starts), len(symbols)), dtype="float32")
    for row, start in enumerate(starts):
        for place, char in enumerate(text[start : start + WINDOW]):
            inputs[row, place, table[char]] = 1
        targets[row, table[text[start + WINDOW]]] = 1
    model = keras.Sequential(
        [
            keras.layers.Input((WINDOW, len(symbols))),
            keras.layers.LSTM(128),
            keras.layers.Dense(len(symbols), activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.RMSprop(learning_rate=0.01), "categorical_crossentropy")
    rows = BATCH * 20
    model.fit(inputs[:rows], targets[:rows], batch_size=BATCH, verbose=0)
    start_time, learned = time.perf_counter(), 0
    while time.perf_counter() - start_time < seconds:
        model.fit(inputs[:rows], targets[:rows], batch_size=BATCH, verbose=0)
        learned += rows  # one character is predicted in each window
    training = learned / (time.perf_counter() - start_time)
    window, made = inputs[:1].copy(), 0
    start_time = time.perf_counter()
    while time.perf_counter() - start_time < seconds:
        probs = model.predict(window, verbose=0)[0].astype("float64")
        chosen = np.random.multinomial(1, probs / probs.sum()).argmax()
        window = np.roll(window, -1, axis=1)
        window[0, -1] = 0
        window[0, -1, chosen] = 1
        made += 1
    return {"training": training, "generating": made / (time.perf_counter() - start_time)}
