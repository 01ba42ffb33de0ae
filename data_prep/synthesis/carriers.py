"""Words and patterns of the everyday sentences that ``phrases.carrier_sentences`` puts together."""

from __future__ import annotations

SLOTS: dict[str, tuple[str, ...]] = {
    "person": (
        "my sister", "your brother", "the teacher", "our neighbor", "the doctor", "my boss", "grandma",
        "the driver", "her cousin", "a friend of mine", "the baby", "his uncle", "the new guy", "everybody",
        "the kids", "Michael", "Sarah", "Joyce", "David", "Emily",
    ),
    "thing": (
        "the keys", "a blue jacket", "the laptop", "some tools", "the old piano", "a birthday card",
        "the letter", "two tickets", "the garden hose", "my glasses", "the report", "an umbrella",
        "the charger", "a good book", "the suitcase", "the measuring tape", "the toy train",
        "a pair of shoes",
    ),
    "food": (
        "soup", "fresh bread", "chicken and rice", "a cheese sandwich", "pancakes", "orange juice", "pizza",
        "tea", "an apple", "coffee", "chocolate cake", "fish", "a bowl of cereal", "noodles", "ice cream",
        "boiled eggs",
    ),
    "place": (
        "the kitchen", "the office", "the airport", "the beach", "school", "the garage", "the hospital",
        "the park", "the library", "the train station", "our house", "the mall", "the bathroom",
        "the south side of town",
    ),
    "time": (
        "in the morning", "tonight", "next week", "after lunch", "on Thursday", "at half past nine",
        "in July", "before the weekend", "tomorrow", "around noon", "every other day", "a few minutes ago",
        "this afternoon",
    ),
    "quality": (
        "quiet", "heavy", "pretty good", "awful", "cheap", "beautiful", "noisy", "strange", "enormous",
        "wet", "easy", "too expensive", "unusual", "smooth", "bright yellow", "dirty",
    ),
    "device": (
        "lights", "heating", "television", "radio", "fan", "alarm", "dishwasher", "coffee machine",
        "window blinds", "front door", "bedroom lamp", "volume", "timer", "garage door",
    ),
    "number": (
        "two", "three", "five", "seven", "nine", "ten", "twelve", "fifteen", "eighteen", "forty",
        "a hundred",
    ),
}  # fmt: skip
"""What may stand in a slot of a template."""

TEMPLATES = (
    "could you turn on the {device}", "turn the {device} off {time}", "please set the {device} to {number}",
    "is the {device} still on", "what time does the {device} start",
    "I think {person} left {thing} in {place}", "we are having {food} {time}",
    "did {person} call you {time}", "{person} wants {food} for dinner", "the weather was {quality} {time}",
    "I can't find {thing} anywhere", "how far is it to {place}", "there were {number} people at {place}",
    "that movie was really {quality}", "let's meet at {place} {time}",
    "he paid {number} dollars for {thing}", "why is {place} so {quality} today",
    "no, that's not what I said", "remind me to bring {thing} {time}", "play something {quality}",
    "I'd rather have {food}, thanks", "{person} and {person} are going to {place}",
    "she has lived here for {number} years", "do we have any {food} left", "where did you put {thing}",
    "it took {number} hours to get to {place}", "you should ask {person} about it",
    "the {device} and the {device} are both broken", "maybe we can leave {time}",
    "I was just talking to {person}", "oh, that looks {quality}", "can you help {person} with {thing}",
    "add {food} to the shopping list", "wake me up at {number} thirty", "nobody told {person} the truth",
    "they usually open {time}", "I dropped {thing} on the floor", "the game ended {number} to {number}",
    "what do you think of {thing}", "thank you so much for {thing}",
    "go straight, then turn left at {place}", "hey, have you seen {thing}", "okay, see you {time}",
    "hello, this is {person} speaking", "sorry, I'm running {number} minutes late",
    "good night, sleep well", "yes, of course", "{person} would never say that",
    "the price went up {number} percent {time}", "we need {thing} and {food} from {place}",
)  # fmt: skip
"""Sentences with slots in braces."""

BEFORE = ("", "", "", "I said", "please", "maybe", "the", "that is", "okay,", "and then", "look at")
AFTER = ("", "", "", "please", "now", "is here", "again", "and so on", "today", "or not", "I think")
"""What may stand before and after a confusable text; often nothing."""
