from astronmf.imaging.modelling.cache import Cache


def test_a_value_is_made_once_and_all_are_dropped_where_they_become_too_many():
    made, cache = [], Cache(limit=10)

    def get(key, size):
        return cache.get(key, lambda: made.append(key) or key * 2, lambda value: size)

    assert [get("a", 4), get("b", 5), get("a", 4)] == ["aa", "bb", "aa"]
    assert made == ["a", "b"]
    assert get("c", 4) == "cc"
    assert get("a", 4) == "aa"
    assert made == ["a", "b", "c", "a"]
